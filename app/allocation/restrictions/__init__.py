"""What limits a customer's portfolio beside the risk profile."""
