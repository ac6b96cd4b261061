# Small files that ask for a great deal, through every reader of the project.
mayfly_tests(bombs_tests FOLDERS bombs LINK mayfly_agent mayfly_text)
