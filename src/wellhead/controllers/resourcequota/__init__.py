"""Quotas: what each namespace uses, counted anew when something there comes, goes or stops counting."""
