"""The page in the browser: what the Python interface answers, for people who click.

`limits` bounds what a visitor may send, `words` and `photos` read it, `answers` asks the model and keeps what it said,
`pictures` and `downloads` make of that what is shown and fetched, `handlers` are its buttons. `page` lays it out of
`fields`, `server` is the door to gradio, and `guard` stands before it. Nobody's answers depend on what others do: what
visitors share is only a store of answers, whose key says everything that decides them.
"""
