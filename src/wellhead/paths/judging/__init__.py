"""What to make of an explanation: warnings of mistakes that are in the objects, advice and what it costs
here.
"""
