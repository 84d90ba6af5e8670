"""Why a customer is where they are, and what comes next: as data, and in the words of two languages."""
