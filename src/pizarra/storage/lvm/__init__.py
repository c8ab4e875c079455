"""What every backend on LVM shares: commands, report, volumes, adoption."""
