"""Key slots: unlock, add, upgrade and recover. File format below, people above."""
