"""Does a map explain the model? Tests that ask CLIP again, where metrics of maps ask a mask; one file a test.

    deletion         does CLIP's score fall as the patches that a map calls important are taken away?
    prompts          does the map change with the word, and for the better with the right one?
    randomisation    does the map change with the weights, of all stages or of one?
    mosaic           which of four images does the map of a word point at?

`subjects` says what is asked about, `floors` has maps that explain nothing, `run` holds the table of tests.
"""
