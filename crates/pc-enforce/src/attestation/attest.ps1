<#
.SYNOPSIS
Tells Portcullis which build of Exchange is installed on this server, signed with your organisation's key.
.DESCRIPTION
Reads the file version of ExSetup.exe, changes nothing, and sends nothing but the fields below. For Windows PowerShell 5.1
on an Exchange server from 2013 to Subscription Edition.

What is signed, HMAC-SHA256 under the key: these fields, each followed by a line feed, in UTF-8.
Signed fields: format tenant host build time nonce
.EXAMPLE
.\attest.ps1 -Url https://mail.example.org/.well-known/portcullis/attestation -Tenant example -KeyFile C:\attest.key
.EXAMPLE
.\attest.ps1 -OutFile C:\attestation.json -Tenant example -KeyFile C:\attest.key
#>
[CmdletBinding(DefaultParameterSetName = 'Post')]
param(
    [Parameter(Mandatory = $true, ParameterSetName = 'Post')][string]$Url,
    [Parameter(Mandatory = $true, ParameterSetName = 'File')][string]$OutFile,
    [Parameter(Mandatory = $true)][string]$Tenant,
    [Parameter(Mandatory = $true)][string]$KeyFile
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

if (-not $env:ExchangeInstallPath) { throw 'ExchangeInstallPath is not set: run this on an Exchange server.' }
$setup = Join-Path (Join-Path $env:ExchangeInstallPath 'bin') 'ExSetup.exe'
$version = [Diagnostics.FileVersionInfo]::GetVersionInfo($setup)
$build = '{0}.{1}.{2}.{3}' -f $version.FileMajorPart, $version.FileMinorPart, $version.FileBuildPart, $version.FilePrivatePart

$properties = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
$name = $properties.HostName
if ($properties.DomainName) { $name = $name + '.' + $properties.DomainName }

$key = [Convert]::FromBase64String([IO.File]::ReadAllText((Resolve-Path $KeyFile).ProviderPath).Trim())
$random = New-Object byte[] 16
$generator = [Security.Cryptography.RandomNumberGenerator]::Create()
$generator.GetBytes($random)
$culture = [Globalization.CultureInfo]::InvariantCulture

$fields = New-Object Collections.Specialized.OrderedDictionary
$fields['format'] = 'portcullis-attestation-v1'
$fields['tenant'] = $Tenant
$fields['host'] = $name.ToLowerInvariant()
$fields['build'] = $build
$fields['time'] = [DateTime]::UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", $culture)
$fields['nonce'] = [BitConverter]::ToString($random).Replace('-', '').ToLowerInvariant()

$utf8 = New-Object Text.UTF8Encoding $false
$canonical = (@($fields.Values) -join "`n") + "`n"
$hmac = New-Object Security.Cryptography.HMACSHA256 -ArgumentList @(, $key)
$fields['signature'] = [Convert]::ToBase64String($hmac.ComputeHash($utf8.GetBytes($canonical)))
$json = ConvertTo-Json -InputObject $fields -Compress

if ($OutFile) {
    $path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($OutFile)
    [IO.File]::WriteAllText($path, $json, $utf8)
    Write-Output "$build of $name is in $path; give it to whoever runs Portcullis within a day."
    exit 0
}

[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
[Net.ServicePointManager]::Expect100Continue = $false
try {
    $answer = Invoke-WebRequest -Uri $Url -Method Post -ContentType 'application/json' -Body $utf8.GetBytes($json) -UseBasicParsing -TimeoutSec 60
    Write-Output ('{0} {1}' -f [int]$answer.StatusCode, [string]$answer.Content)
} catch [Net.WebException] {
    $response = $_.Exception.Response
    if (-not $response) { throw }
    $reader = New-Object IO.StreamReader ($response.GetResponseStream()), $utf8
    Write-Output ('{0} {1}' -f [int]$response.StatusCode, $reader.ReadToEnd())
    exit 1
}
