"""Media: what people upload and partners show is made anew before anybody gets it.

* `sniff`: what the bytes are, whatever they are called; * `images`: pictures, decoded and written anew;
* `blurhash`: the blur that stands in for a picture; * `films`: sound and film, where ffmpeg is installed;
* `files`: the folder; * `tickets`: links for apps that load pictures without a token; * `studio`: all of it together.
"""
