"""Everything a portfolio follows from beside the customer: assumptions, views, policy and questionnaire, in versions."""
