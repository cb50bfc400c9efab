"""Read models made again from the log, beside those in use: to replace them, or to be compared with them.

`room` is the schema in which they are made and moved into place, `replay` folds the log up to where the projector
stands, `comparing` tells two tables apart, `acts` are what the command line asks for.
"""
