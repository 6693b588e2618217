import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Propagation(_message.Message):
    __slots__ = ("complete", "acknowledged", "pending", "waited", "effective_by", "clients_acknowledged", "clients_expired")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_BY_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    acknowledged: int
    pending: int
    waited: _duration_pb2.Duration
    effective_by: _timestamp_pb2.Timestamp
    clients_acknowledged: int
    clients_expired: int
    def __init__(self, complete: bool = ..., acknowledged: _Optional[int] = ..., pending: _Optional[int] = ..., waited: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., effective_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., clients_acknowledged: _Optional[int] = ..., clients_expired: _Optional[int] = ...) -> None: ...
