import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListReplicasRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListReplicasResponse(_message.Message):
    __slots__ = ("replicas", "epoch", "revision")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedCompositeFieldContainer[Replica]
    epoch: str
    revision: int
    def __init__(self, replicas: _Optional[_Iterable[_Union[Replica, _Mapping]]] = ..., epoch: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class Replica(_message.Message):
    __slots__ = ("id", "version", "lease_left", "revision", "clients", "client_groups")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LEASE_LEFT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_GROUPS_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    lease_left: _duration_pb2.Duration
    revision: int
    clients: int
    client_groups: _containers.RepeatedCompositeFieldContainer[ReplicaClients]
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., lease_left: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., revision: _Optional[int] = ..., clients: _Optional[int] = ..., client_groups: _Optional[_Iterable[_Union[ReplicaClients, _Mapping]]] = ...) -> None: ...

class ReplicaClients(_message.Message):
    __slots__ = ("label", "agent", "clients", "entries")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    label: str
    agent: str
    clients: int
    entries: int
    def __init__(self, label: _Optional[str] = ..., agent: _Optional[str] = ..., clients: _Optional[int] = ..., entries: _Optional[int] = ...) -> None: ...
