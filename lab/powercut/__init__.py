"""Power cuts: the whole host is cut off in the middle of its work, boots again, and is looked at.

`__main__` is this machine's side: it boots labs on one kept disk and kills them. `inside` is the
lab's: it mends and judges what the last cut left, then begins the work that the next falls into.
"""
