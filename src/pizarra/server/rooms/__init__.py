"""Classrooms as people see them: teachers, students, seats, codes, rules."""
