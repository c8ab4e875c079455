"""What stands before the pages: limits that hold for visitors whom nobody knows yet."""
