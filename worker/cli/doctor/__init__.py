"""`seats doctor`: looks at everything a deployment rests on, and says what to do about what it finds.

One module a subject. Each check reads, changes nothing, ends within seconds, and answers with findings; how they are
shown stands apart, in ``render``.
"""
