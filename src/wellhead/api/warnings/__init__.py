"""What is valid and yet worth a word: old names, what is ignored, what will not do what it seems to.

Each module finds one sort of it; a kind's strategy says which concern it. kubectl prints them. Upstream:
the warnings.go files of pkg/api.
"""
