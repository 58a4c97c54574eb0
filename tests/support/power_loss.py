"""What a disk may hold after a loss of power, from a record of every call that changed it (tests/support/record_shim.c).

POSIX promises nothing about what was not synced: of a file's writes since its last sync any may have reached the disk, of a
folder's names since its last sync too, in any order. A file's sync does not make its name durable, nor a name its content.
Only one rename is all or nothing. `Recording.state(moment, choice)` gives one of the states that this allows.
"""
import os

SECTOR = 512


class File:
    def __init__(self):
        self.durable = b""
        self.pending = []  # ("write", offset, bytes) or ("truncate", size), in order

    def sync(self):
        self.durable = apply(self.durable, self.pending)
        self.pending = []


class Folder:
    def __init__(self):
        self.durable = {}
        self.pending = []  # [(folder, name, File, Folder or None for gone), …]: each item all or nothing

    def sync(self):
        for change in self.pending:
            for folder, name, target in change:
                put(folder.durable, name, target)
        self.pending = []


def put(names, name, target):
    if target is None:
        names.pop(name, None)
    else:
        names[name] = target


def apply(content, changes):
    content = bytearray(content)
    for kind, *change in changes:
        if kind == "truncate":
            (size,) = change
            del content[size:]
            content.extend(bytes(size - len(content)))
        else:
            offset, data = change
            content.extend(bytes(max(0, offset - len(content))))
            content[offset:offset + len(data)] = data
    return bytes(content)


def read_records(log):
    """(fields, bytes) of each record."""
    with open(log, "rb") as file:
        text = file.read()
    records, at = [], 0
    while at < len(text):
        end = text.index(b"\n", at)
        *fields, size = text[at:end].decode("utf-8", "surrogateescape").split("\t")
        records.append((fields, text[end + 1:end + 1 + int(size)]))
        at = end + 1 + int(size)
    return records


class Recording:
    """Calls below a folder that was empty when the recording began."""

    def __init__(self, log, folder):
        self.records = read_records(log)
        self.root_inode = os.stat(folder).st_ino

    def moments(self):
        """After each of these numbers of calls the power may go."""
        return range(1, len(self.records) + 1)

    def state(self, moment, choice):
        """{path: bytes, or None for a folder} after `moment` calls; `choice` decides what of the rest reached the disk."""
        root, touched = self._replay(moment)
        view = {id(folder): self._names(folder, choice) for folder in touched if isinstance(folder, Folder)}
        return dict(self._walk("", root, view, choice))

    def _replay(self, moment):
        root = Folder()
        by_inode = {self.root_inode: root}
        now = {id(root): {}}  # the names of each folder as programs saw them
        touched = [root]

        def change(*parts):
            for folder, name, target in parts:
                put(now[id(folder)], name, target)
            for folder in {id(folder): folder for folder, _, _ in parts}.values():
                folder.pending.append(parts)

        for fields, data in self.records[:moment]:
            what, *rest = fields
            if what in ("create", "mkdir"):
                inode, parent, name = int(rest[0]), by_inode[int(rest[1])], rest[2]
                new = Folder() if what == "mkdir" else File()
                by_inode[inode] = new
                touched.append(new)
                now[id(new)] = {}
                change((parent, name, new))
            elif what == "link":
                change((by_inode[int(rest[1])], rest[2], by_inode[int(rest[0])]))
            elif what == "unlink":
                change((by_inode[int(rest[0])], rest[1], None))
            elif what == "rename":
                source, target = by_inode[int(rest[0])], by_inode[int(rest[2])]
                change((target, rest[3], now[id(source)][rest[1]]), (source, rest[1], None))
            elif what == "write":
                by_inode[int(rest[0])].pending.append(("write", int(rest[1]), data))
            elif what == "truncate":
                by_inode[int(rest[0])].pending.append(("truncate", int(rest[1])))
            elif what == "sync" and int(rest[0]) in by_inode:
                by_inode[int(rest[0])].sync()
        return root, touched

    @staticmethod
    def _names(folder, choice):
        """Names on the disk: of the changes since the last sync each one there or not, in the order of those that are."""
        names = dict(folder.durable)
        for parts in folder.pending:
            if choice.keeps_name(parts):
                for where, name, target in parts:
                    if where is folder:
                        put(names, name, target)
        return names

    def _walk(self, path, folder, view, choice):
        for name, target in view[id(folder)].items():
            inner = f"{path}/{name}" if path else name
            if isinstance(target, Folder):
                yield inner, None
                yield from self._walk(inner, target, view, choice)
            else:
                yield inner, apply(target.durable, choice.kept_writes(target.pending))


class Nothing:
    """Only what was synced reached the disk."""
    def keeps_name(self, parts): return False
    def kept_writes(self, pending): return []


class NamesAlone:
    """All names, and of the contents what was synced: files of size 0."""
    def keeps_name(self, parts): return True
    def kept_writes(self, pending): return []


class ContentsAlone:
    """All contents, and of the names what was synced."""
    def keeps_name(self, parts): return False
    def kept_writes(self, pending): return pending


class Zeros:
    """All names and sizes; what was not synced is zeros (delayed allocation)."""
    def keeps_name(self, parts): return True
    def kept_writes(self, pending):
        return [(change[0], change[1], bytes(len(change[2]))) if change[0] == "write" else change for change in pending]


class Some:
    """Each name and each write by chance, a write perhaps up to one of its sectors. A rename's parts go together."""
    def __init__(self, generator):
        self.generator = generator
        self.names = {}

    def keeps_name(self, parts):
        return self.names.setdefault(id(parts), self.generator.random() < 0.5)

    def kept_writes(self, pending):
        kept = []
        for change in pending:
            fate = self.generator.random()
            if change[0] == "write" and fate < 0.2:
                sectors = len(change[2]) // SECTOR
                kept.append((change[0], change[1], change[2][:SECTOR * self.generator.randint(0, sectors)]))
            elif fate < 0.6:
                kept.append(change)
        return kept


def lay_out(state, folder):
    """Makes the files and folders of a state."""
    os.makedirs(folder, exist_ok=True)
    for path, content in state.items():
        full = os.path.join(folder, path)
        if content is None:
            os.makedirs(full, exist_ok=True)
        else:
            with open(full, "wb") as out:
                out.write(content)
