"""Every way to write to the house and to be written to: mail, SMS, web chat, fax, messengers."""
