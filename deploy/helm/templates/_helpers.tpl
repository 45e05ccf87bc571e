{{- define "lsml.labels" -}}
app.kubernetes.io/name: lsml
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "lsml.selector" -}}
app.kubernetes.io/name: lsml
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The pod of servers and workers. `.root`: the chart's context, `.verb`, `.queue`, `.class`: values of servers or workers. */}}
{{- define "lsml.pod" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 20
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .class.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .class.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: lsml
    image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [lsml, {{ .verb }}]
    args: [/etc/lsml/recipe.yaml{{ with .queue }}, --queue, {{ . | quote }}{{ end }}]
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    env:
      - {name: LSML_OVERRIDE, value: /etc/lsml/production.yaml}
      - {name: LSML_LOG_FORMAT, value: json}
      {{- range $name, $value := .root.Values.env }}
      {{- if $value }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
      {{- end }}
      {{- if .root.Values.secret }}
      {{- range .root.Values.secretKeys }}
      - {name: {{ . }}_FILE, value: /run/secrets/lsml/{{ . }}}
      {{- end }}
      - {name: AWS_SHARED_CREDENTIALS_FILE, value: /run/secrets/lsml/AWS_CREDENTIALS}
      {{- end }}
    {{- if eq .verb "serve" }}
    ports:
      - {name: http, containerPort: 9090}
    # /ready needs the password and also knows the workers; a server that answers can take requests.
    startupProbe:
      httpGet: {path: /health, port: http}
      periodSeconds: 2
      failureThreshold: 60
    readinessProbe:
      httpGet: {path: /health, port: http}
      periodSeconds: 5
    livenessProbe:
      httpGet: {path: /health, port: http}
      periodSeconds: 10
      timeoutSeconds: 5
    # Requests still come until every node knows that this pod goes.
    lifecycle:
      preStop: {exec: {command: [sleep, "3"]}}
    {{- end }}
    resources: {{ toYaml .class.resources | nindent 6 }}
    volumeMounts:
      - {name: recipe, mountPath: /etc/lsml, readOnly: true}
      - {name: data, mountPath: /data}
      - {name: tmp, mountPath: /tmp}
      {{- if .root.Values.secret }}
      - {name: secret, mountPath: /run/secrets/lsml, readOnly: true}
      {{- end }}
volumes:
  - name: recipe
    configMap: {name: {{ .root.Release.Name }}-recipe}
  - name: data
    emptyDir: {sizeLimit: {{ .root.Values.data.sizeLimit }}}
  - name: tmp
    emptyDir: {}
{{- with .root.Values.secret }}
  - name: secret
    secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
