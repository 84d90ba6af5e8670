"""What decides, and nothing else: facts, rules, policies, what a step makes of a customer, and lives lived again. Pure."""
