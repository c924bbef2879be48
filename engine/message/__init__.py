"""An exchange as data: target URI, response, bodies, milestones. Below everything that acts on it or records it."""
