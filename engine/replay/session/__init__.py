"""A recorded session as replays read it: its requests, their match keys, and editable copies of them."""
