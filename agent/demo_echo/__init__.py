"""demo-echo: a small OpenAI-compatible server that answers with what it was told.  No model.

It shows the gateway at work where there is no engine; everything it answers says so.  Reading
order: echo (answers and their tokens), routes (the server).
"""
