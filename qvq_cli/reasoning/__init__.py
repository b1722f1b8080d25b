"""What makes it QVQ: prompt, transcript, budget, loops, language, answer.

Pure: no I/O, no llama_cpp.
"""
