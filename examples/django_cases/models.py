"""Cases, and the recordings that they point at."""

import uuid

from django.db import models


class Recording(models.Model):
    """What Django may know of a recording: for joins and filters. phonobase makes the table and writes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.TextField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    state = models.TextField()

    class Meta:
        """The table is phonobase's."""

        managed = False
        db_table = "phono_recording"

    def __str__(self) -> str:
        return f"{self.source} {self.started_at}"


class Case(models.Model):
    """What a customer called about; the call cannot be deleted while the case is there."""

    subject = models.CharField(max_length=200, unique=True)
    call = models.ForeignKey(Recording, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return str(self.subject)
