import {
  anything,
  array,
  flag,
  integer,
  map,
  maybe,
  number,
  object,
  oneOf,
  quantity,
  type Shape,
  text,
} from "./shape.ts";

/*
 * The shapes of the fields that we rely on; everything else in an object is carried along unseen.
 * Source: k8s.io/api v0.37.2 `core/v1/types.go`.
 */

const list = (shape: Shape): Shape => maybe(array(shape));
const strings = maybe(map(text));
const quantities = maybe(map(quantity));
/** File mode: 0 to 0777. Source: v1.37.2 `validation.go: fileModeErrorMsg`. */
const mode = maybe(integer(0o777, "E_MODE"));
/** User or group id: 0 to 2147483647. Source: apimachinery v0.37.2 `IsValidUserID`. */
const id = maybe(integer(2_147_483_647, "E_ID"));
const port = oneOf(text, number);

const requirements = maybe(
  object({ limits: quantities, requests: quantities, claims: list(anything) }),
);
const keySelector = maybe(object({ name: maybe(text), key: text, optional: maybe(flag) }));
const fieldSelector = maybe(object({ fieldPath: text }));
const resourceSelector = maybe(
  object({ containerName: maybe(text), resource: text, divisor: maybe(quantity) }),
);
const objectReference = { name: maybe(text), optional: maybe(flag) };
const networkAction = maybe(object({ port: port }));
const handler = maybe(
  object({
    httpGet: networkAction,
    tcpSocket: networkAction,
    sleep: maybe(object({ seconds: number })),
  }),
);
const container = object({
  name: text,
  image: maybe(text),
  command: list(text),
  args: list(text),
  imagePullPolicy: maybe(text),
  restartPolicy: maybe(text),
  env: list(
    object({
      name: text,
      value: maybe(text),
      valueFrom: maybe(
        object({
          fieldRef: fieldSelector,
          resourceFieldRef: resourceSelector,
          configMapKeyRef: keySelector,
          secretKeyRef: keySelector,
        }),
      ),
    }),
  ),
  envFrom: list(
    object({
      prefix: maybe(text),
      configMapRef: maybe(object(objectReference)),
      secretRef: maybe(object(objectReference)),
    }),
  ),
  ports: list(object({ name: maybe(text), containerPort: number, hostPort: maybe(number) })),
  resources: requirements,
  volumeMounts: list(
    object({
      name: text,
      mountPath: text,
      subPath: maybe(text),
      subPathExpr: maybe(text),
      readOnly: maybe(flag),
    }),
  ),
  volumeDevices: list(object({ name: text })),
  securityContext: maybe(object({ runAsUser: id })),
  lifecycle: maybe(object({ postStart: handler, preStop: handler })),
  livenessProbe: handler,
  readinessProbe: handler,
  startupProbe: handler,
});

const items = list(object({ key: text, path: text, mode, user: id }));
const downward = {
  items: list(
    object({
      path: text,
      mode,
      user: id,
      fieldRef: fieldSelector,
      resourceFieldRef: resourceSelector,
    }),
  ),
};
const defaults = { defaultMode: mode, defaultUser: id };
const volume = object({
  name: text,
  secret: maybe(object({ ...defaults, secretName: maybe(text), items, optional: maybe(flag) })),
  configMap: maybe(object({ ...defaults, ...objectReference, items })),
  downwardAPI: maybe(object({ ...defaults, ...downward })),
  projected: maybe(
    object({
      ...defaults,
      sources: list(
        object({
          secret: maybe(object({ ...objectReference, items })),
          configMap: maybe(object({ ...objectReference, items })),
          downwardAPI: maybe(object(downward)),
          serviceAccountToken: maybe(
            object({
              audience: maybe(text),
              expirationSeconds: maybe(number),
              path: text,
              user: id,
            }),
          ),
        }),
      ),
    }),
  ),
  hostPath: maybe(object({ path: text, type: maybe(text) })),
  persistentVolumeClaim: maybe(object({ claimName: text, readOnly: maybe(flag) })),
  image: maybe(object({ pullPolicy: maybe(text) })),
});

const status = object({
  name: text,
  state: maybe(
    object({
      running: maybe(object({ startedAt: maybe(text) })),
      terminated: maybe(object({ startedAt: maybe(text) })),
    }),
  ),
});

const metadata = object({
  name: text,
  namespace: maybe(text),
  uid: maybe(text),
  creationTimestamp: maybe(text),
  deletionTimestamp: maybe(text),
  labels: strings,
  annotations: strings,
  ownerReferences: list(object({ kind: text, name: text, controller: maybe(flag) })),
});

const objectShape = object({ kind: text, metadata });
const pod = object({
  metadata,
  spec: object({
    nodeName: maybe(text),
    hostname: maybe(text),
    hostNetwork: maybe(flag),
    dnsPolicy: maybe(text),
    dnsConfig: maybe(object({ nameservers: list(text), searches: list(text) })),
    enableServiceLinks: maybe(flag),
    restartPolicy: maybe(text),
    runtimeClassName: maybe(text),
    serviceAccountName: maybe(text),
    serviceAccount: maybe(text),
    securityContext: maybe(object({ runAsUser: id, fsGroup: id })),
    resourceClaims: list(anything),
    volumes: list(volume),
    containers: array(container),
    initContainers: list(container),
    resources: requirements,
  }),
  status: maybe(
    object({
      phase: maybe(text),
      hostIP: maybe(text),
      hostIPs: list(object({ ip: maybe(text) })),
      containerStatuses: list(status),
      initContainerStatuses: list(status),
    }),
  ),
});
const secret = object({ metadata, data: strings, stringData: strings });
const configMap = object({ metadata, data: strings, binaryData: strings });
const service = object({
  metadata,
  spec: object({
    clusterIP: maybe(text),
    ports: list(object({ name: maybe(text), protocol: maybe(text), port: number })),
    selector: strings,
  }),
});

/** The shape of any object's head, and of the kinds that we look into. */
export const shapeOf = { object: objectShape, pod, secret, configMap, service } as const;
