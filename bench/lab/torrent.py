"""The libtorrent contender: torrent.py make FILE TORRENT | seed TORRENT DIR ADDRESS
| peer TORRENT DIR ADDRESS START_AT_EPOCH_MS ADDRESS..."""

import json
import os
import sys
import time

import libtorrent

PORT = 6881


def say(event):
    print(json.dumps({"event": event}), flush=True)


def make(path, torrent):
    files = libtorrent.file_storage()
    libtorrent.add_files(files, path)
    creator = libtorrent.create_torrent(files)
    libtorrent.set_piece_hashes(creator, os.path.dirname(path))
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(creator.generate()))


def session(address):
    # Everything that looks for peers elsewhere is off; TCP, which is faster than uTP on a quiet LAN.
    return libtorrent.session(
        {
            "listen_interfaces": f"{address}:{PORT}",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_incoming_utp": False,
            "enable_outgoing_utp": False,
            "alert_mask": libtorrent.alert.category_t.status_notification,
        }
    )


def add(ses, torrent, folder, is_seed):
    params = libtorrent.add_torrent_params()
    params.ti = libtorrent.torrent_info(torrent)
    params.save_path = folder
    params.flags &= ~libtorrent.torrent_flags.paused
    params.flags &= ~libtorrent.torrent_flags.auto_managed
    if is_seed:
        params.flags |= libtorrent.torrent_flags.seed_mode
    return ses.add_torrent(params)


def wait_for_ever():
    while True:
        time.sleep(3600)


def seed(torrent, folder, address):
    ses = session(address)
    handle = add(ses, torrent, folder, True)
    while not handle.status().is_seeding:
        time.sleep(0.05)
    say("ready")
    wait_for_ever()


def peer(torrent, folder, address, start_at, *addresses):
    os.makedirs(folder, exist_ok=True)
    ses = session(address)
    time.sleep(max(0, int(start_at) / 1000 - time.time()))
    handle = add(ses, torrent, folder, False)
    for other in addresses:
        if other != address:
            handle.connect_peer((other, PORT))
    is_finished = False
    while not is_finished:
        ses.wait_for_alert(1000)
        for alert in ses.pop_alerts():
            if isinstance(alert, libtorrent.torrent_finished_alert):
                is_finished = True
    # What is written may still be on its way to the file.
    handle.flush_cache()
    say("present")
    wait_for_ever()


{"make": make, "seed": seed, "peer": peer}[sys.argv[1]](*sys.argv[2:])
