"""An exchange as data: request target, response, bodies, milestones. Below everything that acts on it."""
