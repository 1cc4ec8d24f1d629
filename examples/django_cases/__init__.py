"""A help desk by Django: a case and its call are stored in one transaction, or not at all.

Its own tables and phonobase's lie beside each other in the database that PHONOBASE_DB names. It needs
``pip install phonobase django``; run it with
``python -m examples.django_cases migrate`` and ``python -m examples.django_cases runserver``.
"""
