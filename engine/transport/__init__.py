"""What the streams of one HTTP/2 connection share, whichever end of it we are."""
