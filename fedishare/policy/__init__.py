"""Policy: pure rules that say who may exchange what with us. Values in, decisions out; only `guard` asks them.

`facts` holds the questions and what they are about, `rules` each rule and the compiled `Policy`, `decide` combines
the rules' answers; `audience` says which people may see a post.
"""
