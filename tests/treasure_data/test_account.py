"""runner.treasure_data.account: whose Treasure Data a command asks."""

import pytest

from runner.errors import UsageError
from runner.treasure_data.account import find_account, mask_key, site_names

KEY = "12/" + "a1" * 20
OTHER = "99/" + "b2" * 20


def found(environ=None, *, home, **flags):
    return find_account(environ or {}, home=home, **flags)


def written(home, text):
    path = home / ".td/td.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({"TD_API_KEY": KEY}, "TD_API_KEY"),
        ({"TREASURE_DATA_API_KEY": KEY}, "TREASURE_DATA_API_KEY"),
        ({"TDX_API_KEY": KEY}, "TDX_API_KEY"),
        ({"TDX_PROFILE": "my-prod", "TDX_API_KEY_MY_PROD": KEY}, "TDX_API_KEY_MY_PROD"),
        ({"TDX_PROFILE": "a", "TDX_API_KEY_A": KEY, "TDX_API_KEY": OTHER}, "TDX_API_KEY_A"),
        ({"TDX_PROFILE": "a", "TDX_API_KEY": KEY}, "TDX_API_KEY"),
        ({"TD_API_KEY": KEY, "TREASURE_DATA_API_KEY": OTHER}, "TD_API_KEY"),
        ({"TREASURE_DATA_API_KEY": KEY, "TDX_API_KEY": OTHER}, "TREASURE_DATA_API_KEY"),
        ({"TD_API_KEY": " ", "TDX_API_KEY": f"{KEY}\n"}, "TDX_API_KEY"),
    ],
)
def test_the_first_key_that_is_set_counts_and_its_place_is_kept(tmp_path, environ, source):
    account = found(environ, home=tmp_path)
    assert (account.key, account.key_source) == (KEY, source)


def test_the_flag_wins_over_the_environment_and_that_over_td_conf(tmp_path):
    written(tmp_path, f"[account]\n  apikey = {OTHER}\n")
    assert found(home=tmp_path).key_source == "~/.td/td.conf"
    assert found({"TD_API_KEY": KEY}, home=tmp_path).key == KEY
    assert found({"TD_API_KEY": OTHER}, home=tmp_path, key=KEY).key_source == "--td-apikey"


@pytest.mark.parametrize("name", ["TD_CONFIG_PATH", "TREASURE_DATA_CONFIG_PATH"])
def test_td_conf_may_lie_elsewhere_and_must_then_be_there(tmp_path, name):
    path = written(tmp_path / "x", f"# made by td\n[account]\nuser = a@example.com\napikey = {KEY}\n")
    assert found({name: str(path)}, home=tmp_path).key == KEY
    with pytest.raises(UsageError, match="is not there") as caught:
        found({name: str(tmp_path / "none")}, home=tmp_path)
    assert caught.value.hint == f"check {name}"


@pytest.mark.parametrize("environ", [{}, {"TD_CONFIG_PATH": "/nowhere/td.conf"}])
def test_a_td_conf_that_is_not_needed_is_not_read(tmp_path, environ):
    written(tmp_path, f"[account\napikey {OTHER}\n")
    assert found(environ, home=tmp_path, key=KEY, site="jp01").key == KEY
    by_environment = {**environ, "TD_API_KEY": KEY, "TD_SITE": "jp01"}
    assert found(by_environment, home=tmp_path).site == "jp01"


def test_a_damaged_td_conf_is_an_error_that_shows_no_line_of_it(tmp_path):
    written(tmp_path, f"apikey {KEY}\n")
    with pytest.raises(UsageError, match="cannot be read") as caught:
        found(home=tmp_path)
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


def test_without_a_key_the_error_says_where_was_looked(tmp_path):
    with pytest.raises(UsageError, match="no Treasure Data key") as caught:
        found(home=tmp_path)
    for name in ("--td-apikey", "TD_API_KEY", "TREASURE_DATA_API_KEY", "TDX_API_KEY", "td.conf"):
        assert name in caught.value.hint


@pytest.mark.parametrize("key", ["nonsense", "a1" * 20, "12/XYZ", f"TD1 {KEY}", f"{KEY}0"])
def test_a_key_of_another_shape_is_refused_and_not_shown(tmp_path, key):
    with pytest.raises(UsageError, match="TD_API_KEY is not one") as caught:
        found({"TD_API_KEY": key}, home=tmp_path)
    assert key not in caught.value.message


def test_an_account_does_not_show_its_key(tmp_path):
    assert "a1a1" not in repr(found({"TD_API_KEY": KEY}, home=tmp_path))


def test_a_masked_key_names_the_account_and_little_more():
    assert mask_key(KEY) == "12/a1...a1"
    assert mask_key("short") == mask_key("1/short") == "***"


@pytest.mark.parametrize(
    ("site", "name", "api", "presto", "cdp"),
    [
        ("us01", "us01", "api.treasuredata.com", "api-presto.treasuredata.com", "api-cdp.treasuredata.com"),
        *(
            (
                each,
                "jp01",
                "api.treasuredata.co.jp",
                "api-presto.treasuredata.co.jp",
                "api-cdp.treasuredata.co.jp",
            )
            for each in ("jp01", "ap01", "tokyo", "JP01")
        ),
        *(
            (
                each,
                each,
                *(f"{service}.{each}.treasuredata.com" for service in ("api", "api-presto", "api-cdp")),
            )
            for each in ("eu01", "ap02", "ap03")
        ),
    ],
)
def test_each_site_has_its_three_addresses(tmp_path, site, name, api, presto, cdp):
    account = found({"TD_API_KEY": KEY}, home=tmp_path, site=site)
    assert account.site == name
    assert (account.api, account.presto, account.cdp) == tuple(f"https://{h}" for h in (api, presto, cdp))


def test_the_site_is_the_first_that_is_said(tmp_path):
    written(tmp_path, f"[account]\napikey = {KEY}\nendpoint = https://api.ap02.treasuredata.com\n")
    environ = {}
    assert found(environ, home=tmp_path).site == "ap02"
    assert found(environ, home=tmp_path, project_site="ap03").site == "ap03"
    environ["TD_SITE"] = "eu01"
    assert found(environ, home=tmp_path, project_site="ap03").site == "eu01"
    environ["TD_API_SERVER"] = "https://api.treasuredata.co.jp/"
    assert found(environ, home=tmp_path).site == "jp01"
    assert found(environ, home=tmp_path, site="us01").site == "us01"


def test_without_a_word_the_site_is_us01(tmp_path):
    assert found({"TD_API_KEY": KEY}, home=tmp_path).site == "us01"


def test_an_unknown_site_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="no Treasure Data site 'jp1'") as caught:
        found({"TD_API_KEY": KEY}, home=tmp_path, site="jp1")
    assert all(name in caught.value.hint for name in site_names())
    assert "did you mean jp01?" in caught.value.hint


def test_each_address_may_be_said_by_itself(tmp_path):
    environ = {
        "TD_API_KEY": KEY,
        "TD_PRESTO_API": "presto.example.com",
        "TD_CDP_API": "https://cdp.example.com/",
    }
    account = found(environ, home=tmp_path, site="jp01")
    assert (account.presto, account.cdp) == ("https://presto.example.com", "https://cdp.example.com")
    assert account.api == "https://api.treasuredata.co.jp"


@pytest.mark.parametrize(
    ("server", "presto"),
    [
        ("https://api.x.example.com", "https://api-presto.x.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("api.development.example.com", "https://api-presto.development.example.com"),
    ],
)
def test_an_address_of_its_own_has_no_site(tmp_path, server, presto):
    account = found({"TD_API_KEY": KEY, "TD_API_SERVER": server}, home=tmp_path)
    assert (account.site, account.presto) == (None, presto)


@pytest.mark.parametrize("server", ["http://api.example.com", "http://10.0.0.1:80"])
def test_a_key_never_travels_readable_to_another_machine(tmp_path, server):
    with pytest.raises(UsageError, match="TD_API_SERVER is an address without https"):
        found({"TD_API_KEY": KEY, "TD_API_SERVER": server}, home=tmp_path)


@pytest.mark.parametrize("server", ["http://", "ftp://api.example.com", "https://me:pw@x", "https://x:port"])
def test_what_is_no_address_is_refused(tmp_path, server):
    with pytest.raises(UsageError, match="TD_API_SERVER is not an address"):
        found({"TD_API_KEY": KEY, "TD_API_SERVER": server}, home=tmp_path)
