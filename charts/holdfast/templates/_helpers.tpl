{{- define "holdfast.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "holdfast.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "holdfast.name" .) .Release.Name -}}
{{- include "holdfast.release" . | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (include "holdfast.release" .) (include "holdfast.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The release's name as a Service may be called: Helm takes points, too, and digits in front. */}}
{{- define "holdfast.release" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name }}r{{ end }}{{ $name -}}
{{- end -}}

{{/* What is cluster-wide bears the namespace in its name: two releases don't meet. */}}
{{- define "holdfast.clustername" -}}
{{- printf "%s:%s" .Release.Namespace (include "holdfast.fullname" .) -}}
{{- end -}}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "holdfast.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* "true" on OpenShift, else nothing. */}}
{{- define "holdfast.openshift" -}}
{{- if eq (toString .Values.openshift) "auto" -}}
{{- if .Capabilities.APIVersions.Has "config.openshift.io/v1" }}true{{ end -}}
{{- else if eq (toString .Values.openshift) "true" -}}
true
{{- end -}}
{{- end -}}

{{- define "holdfast.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- if not (include "holdfast.openshift" .) }}
runAsUser: {{ int .Values.runAsUser }}
runAsGroup: {{ int .Values.runAsUser }}
fsGroup: {{ int .Values.runAsUser }}
{{- end }}
{{- end -}}

{{- define "holdfast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* The shipped policies that are to be installed, in order, as a JSON list of names. */}}
{{- define "holdfast.policies" -}}
{{- $names := list -}}
{{- range $name, $policy := .Values.policies -}}
{{- if $policy.enabled -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- $names | sortAlpha | toJson -}}
{{- end -}}

{{/* The namespaces whose Policies are enforced, as a JSON list; those of all if it is empty. Shipped policies lie in the release's. */}}
{{- define "holdfast.policyNamespaces" -}}
{{- $places := .Values.policyNamespaces -}}
{{- if and $places (include "holdfast.policies" . | fromJsonArray) -}}
{{- $places = append $places .Release.Namespace -}}
{{- end -}}
{{- $places | uniq | toJson -}}
{{- end -}}

{{/* "true" where an object that `lookup` found isn't there, or is this release's: it may be made. Others' stay others'. */}}
{{- define "holdfast.mayMake" -}}
{{- $annotations := dig "metadata" "annotations" dict (.there | default dict) -}}
{{- $name := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if or (not .there) (and (eq $name .release.Name) (eq $namespace .release.Namespace)) -}}true{{- end -}}
{{- end -}}

{{/* The role that managed-velero takes on by a token, if it is installed and does so. */}}
{{- define "holdfast.roleArn" -}}
{{- $given := index .Values.policies "managed-velero" -}}
{{- if $given.enabled -}}{{ $given.roleArn }}{{- end -}}
{{- end -}}

{{/* "true" where the Pods have a token for cloud roles, else nothing. */}}
{{- define "holdfast.cloudToken" -}}
{{- if or .Values.cloudToken.enabled (include "holdfast.roleArn" .) -}}true{{- end -}}
{{- end -}}

{{/* Where that token is, as OpenShift's own operators have it. */}}
{{- define "holdfast.tokenFolder" -}}
/var/run/secrets/openshift/serviceaccount
{{- end -}}

{{- define "holdfast.veleroNamespace" -}}
{{- (index .Values.policies "managed-velero").parameters.namespace | default "openshift-velero" -}}
{{- end -}}
