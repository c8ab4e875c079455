"""Power cuts: cut the whole host off while it works, boot it again, and judge the result.

`__main__` runs on this machine: it boots labs on one lasting disk and kills them. `inside` runs in
the lab: it recovers and judges what the last cut left, then begins the work for the next cut.
"""
