"""What keeps us busy: the processor and the database, and not who waits."""

import time

import pytest
from django.db import DatabaseError, connection

from schema.busy import Busy


def test_the_time_of_the_processor_counts() -> None:
    busy, end = Busy(), time.thread_time() + 0.2
    with busy.measured():
        while time.thread_time() < end:
            pass
    assert 190 <= busy.milliseconds < 400


@pytest.mark.django_db
def test_the_time_of_the_database_counts() -> None:
    busy = Busy()
    with busy.measured(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2)")
    assert busy.milliseconds >= 200


@pytest.mark.django_db
def test_a_statement_that_fails_counts_too() -> None:
    busy = Busy()
    with pytest.raises(DatabaseError), busy.measured(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2), 1 / (random() * 0)::int")
    assert busy.milliseconds >= 200


def test_to_wait_costs_nothing() -> None:
    busy = Busy()
    with busy.measured():
        time.sleep(0.3)
    assert busy.milliseconds < 100


@pytest.mark.django_db
def test_what_is_measured_in_parts_is_added_up() -> None:
    busy = Busy()
    for _ in range(2):
        with busy.measured(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.1)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
    assert 200 <= busy.milliseconds < 600
