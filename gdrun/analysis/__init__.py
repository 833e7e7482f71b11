"""The numbers of a sweep → which batch size and learning rate to train with, and why.

Plain numbers in, conclusions and sentences out. It knows no files, terminals or PyTorch.
"""
