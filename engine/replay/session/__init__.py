"""A recorded session as replays read it: its requests, what they are matched by, what can be edited in them."""
