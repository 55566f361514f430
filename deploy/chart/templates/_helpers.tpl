{{/* The image of a component. */}}
{{- define "wellhead.image" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end }}wellhead-{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end }}

{{/* One of the kustomize bases' files, in the release's namespace. */}}
{{- define "wellhead.base" -}}
{{- $root := index . 0 -}}
{{- required (printf "%s is missing: the chart's files/ are links into deploy/, copy it with what they lead to" (index . 1)) ($root.Files.Get (index . 1)) | replace "namespace: kube-system" (printf "namespace: %s" $root.Release.Namespace) | replace "serviceaccount:kube-system:" (printf "serviceaccount:%s:" $root.Release.Namespace) }}
{{- end }}

{{/* Where a probe asks what listens at HOST:PORT: at the node's own address, if that is among them. */}}
{{- define "wellhead.probed" -}}
{{- $port := regexFind "[0-9]+$" . -}}
{{- $host := trimSuffix (printf ":%s" $port) . | trimPrefix "[" | trimSuffix "]" -}}
{{- if not (has $host (list "0.0.0.0" "::")) -}}
host: {{ $host | quote }}
{{ end -}}
port: {{ $port }}
{{- end }}

{{/* The port of HOST:PORT. */}}
{{- define "wellhead.port" -}}
{{ regexFind "[0-9]+$" . }}
{{- end }}
