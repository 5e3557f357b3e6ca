"""The database URL that `bifrost db status` prints opens in other people's clients."""


def test_the_printed_url_opens(place):
    place.run("db", "up")
    place.run("db", "migrate")
    assert place.sql("SELECT count(*) FROM file_registry") == [(0,)]
