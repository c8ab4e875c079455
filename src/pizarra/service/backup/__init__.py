"""What of a host is not on its disks, saved in a folder and put back."""
