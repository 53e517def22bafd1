"""The demo: three real servers on this machine, of which two are partners and the third is a stranger.

``python -m fedishare.demo`` starts them as processes, lets a few people work together across the border, lets the
stranger try to get in, and checks every line that it prints against the servers. `world` has the servers, `people`
what an app does for a person, `screen` the lines, and `story` what happens.
"""
