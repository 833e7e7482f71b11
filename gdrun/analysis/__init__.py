"""The numbers of a sweep → which batch size and learning rate to train with, and why.

And what a picture of the loss around runs shows. Plain numbers in, conclusions and sentences out.
It knows no files, terminals or PyTorch.
"""
