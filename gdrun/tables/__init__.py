"""CSV files → columns of numbers and categories, with a note on whatever was assumed of them."""
