import type { WireMethod } from './transport.js';

/** MessageType is a generated message's type, as far as calls need it. */
export interface MessageType<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
  fromPartial(partial: object): Message;
}

/** MessageOf is what messages of a type are. */
export type MessageOf<Type> = Type extends { decode(bytes: Uint8Array): infer Message } ? Message : never;

/** MethodDefinition is a method as it is generated. */
export interface MethodDefinition {
  readonly name: string;
  readonly requestType: unknown;
  readonly requestStream: boolean;
  readonly responseType: unknown;
  readonly responseStream: boolean;
}

/** ServiceDefinition is a service as it is generated. */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** wireMethod gives what calls of a method are made by. */
export function wireMethod<Method extends MethodDefinition>(
  { fullName }: ServiceDefinition,
  { name, requestType, responseType }: Method,
): WireMethod<MessageOf<Method['requestType']>, MessageOf<Method['responseType']>> {
  const request = requestType as MessageType<MessageOf<Method['requestType']>>;
  const response = responseType as MessageType<MessageOf<Method['responseType']>>;
  return {
    path: `/${fullName}/${name}`,
    requestSerialize: (message) => request.encode(message).finish(),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}
