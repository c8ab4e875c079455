"""Who signs in: users, their roles and languages, tokens of programs."""
