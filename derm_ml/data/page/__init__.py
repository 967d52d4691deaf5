"""The data check as a page: one HTML file that holds everything, for a researcher and a reviewer."""
