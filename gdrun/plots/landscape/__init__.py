"""The train loss on a plane and the paths of runs beside it → the picture called `landscape`."""
