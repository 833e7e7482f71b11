"""The columns of the logs."""

from gdrun.results.log_rows import EPOCH_COLUMNS, STEP_COLUMNS, header

EPOCHS = "method,batch_size,lr,seed,epoch,updates,samples,seconds,batch_loss,train_loss,val_loss"


STEPS = "method,batch_size,lr,seed,epoch,update,loss"


def test_columns_are_those_of_the_contract() -> None:
    assert header(EPOCH_COLUMNS) == EPOCHS + "\n"
    assert header(STEP_COLUMNS) == STEPS + "\n"
