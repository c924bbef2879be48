"""Values of answers that later requests use: found in a recording, and put in again when the new answers are there."""
