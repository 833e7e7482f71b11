"""The same trainings as other libraries' users would write them; see README.md beside this file."""
