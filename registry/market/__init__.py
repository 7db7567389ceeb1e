"""Which sites serve other organizations than their own.

A site is private until the operator opens it: a stranger's machine gets no work, no key, no money
and no model listing of anybody else's.
"""
